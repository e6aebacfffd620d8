//! Artillery scripts to plan and program: the language, its plugins and its exit codes.
