//! What runs through a build from outside: the wish to stop, the clock, and the events that displays and logs consume.

mod clock;
mod event;
mod stop;

pub use clock::Clock;
pub use event::{Event, Events};
pub use stop::StopFlag;
