//! The aiai command line and driver.
