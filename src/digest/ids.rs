use std::fmt;

use super::{Digest, DigestError};

/// Makes one newtype over [`Digest`] per identity, so that one cannot stand in for another.
macro_rules! identities {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(Digest);

        impl $name {
            /// Wraps a digest that is this identity.
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// Returns the digest beneath.
            pub const fn digest(&self) -> &Digest {
                &self.0
            }

            /// Reads the text form, `blake3:<64 hex>`; the prefix may be absent.
            pub fn parse(text: &str) -> Result<Self, DigestError> {
                Digest::parse(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }
    )*};
}

identities! {
    /// Names immutable bytes in the store: the plain BLAKE3 hash of them.
    BlobId;
    /// Names one action: the hash of all that decides its output.
    ActionKey;
    /// Names one resolved call to a model: the hash of all that decides what is asked.
    RequestKey;
    /// Names the address of one draw: request key, generation and number.
    DrawId;
    /// Names the content of one item (its fields), wherever it stands.
    ItemId;
    /// Names a plan: every input and every option that decides what a build makes.
    PlanId;
    /// Names a run's reproducible views together.
    RootId;
    /// Names all that decides what a build finds done: its inputs, its flags, and the program itself.
    ConclusionKey;
}

impl BlobId {
    /// Names the given bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Digest::of(bytes))
    }
}
