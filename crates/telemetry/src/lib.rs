//! Logging start-up shared by the three services.
