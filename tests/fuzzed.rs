//! The targets of `fuzz/targets.rs` on mutations of their seeds: a panic or a hang fails the test, and says which bytes did it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../fuzz/mutations.rs"]
mod mutations;
#[path = "../fuzz/targets.rs"]
mod targets;

use targets::TARGETS;

macro_rules! targets {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            let target = TARGETS.iter().find(|target| target.name == stringify!($name)).unwrap();
            mutations::fuzz(target.name, target.cost, target.run);
        })*

        #[test]
        fn every_target_has_a_test() {
            assert_eq!(TARGETS.map(|target| target.name), [$(stringify!($name)),*]);
        }
    };
}

targets!(
    config,
    dataset,
    draw_log,
    action_record,
    manifest,
    archive,
    reply,
    lines,
    names,
    foreign_log,
    handout,
    signature
);
