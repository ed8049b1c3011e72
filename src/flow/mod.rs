//! What runs through a build from outside: the wish to stop, the clock, what may be spent, and the events that displays and
//! logs consume.

mod budget;
mod clock;
mod event;
mod money;
mod stop;

pub use budget::{Budget, Reservation, Spending};
pub use clock::Clock;
pub use event::{Event, Events, Tally};
pub use money::Money;
pub use stop::StopFlag;
