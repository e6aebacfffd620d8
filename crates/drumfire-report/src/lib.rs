//! Summary to terminal, JSON, CSV, JUnit and one self-contained HTML file.
