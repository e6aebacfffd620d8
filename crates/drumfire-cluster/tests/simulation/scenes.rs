//! Histories with a set course.
