//! Sends recorded exchanges again: reads them from recordings and files of other tools, hands each on when it is due,
//! and tells by the report whether the candidate answers as the baseline did. What is made of an exchange is the
//! proxy's own work: its routes, transforms, comparison and report.

pub mod convert;
pub mod counts;
pub mod input;
pub mod options;
pub mod order;
pub mod pace;
pub mod play;
pub mod progress;
pub mod reader;
pub mod resume;
pub mod run;
pub mod sorted;
