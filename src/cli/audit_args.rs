use camino::Utf8PathBuf;
use clap::Args;

/// Says what to audit.
#[derive(Debug, Clone, Args)]
pub struct AuditArgs {
    /// A run, an archive's name, or a file
    #[arg(default_value = "latest")]
    pub run: String,
    /// Execute every deterministic step again and compare the bytes
    #[arg(long)]
    pub rerun: bool,
    /// Say which inputs changed since
    #[arg(long)]
    pub inputs: bool,
    /// Ask for a signature by one of these Ed25519 keys: a file of public keys, or a line `ssh-ed25519 AAAA…`
    #[arg(long, value_name = "KEY", env = "EXP_REQUIRE_SIGNATURE")]
    pub require_signature: Option<String>,
}

/// Says what to sign.
#[derive(Debug, Clone, Args)]
pub struct SignArgs {
    /// A run, an archive's name, or a file
    #[arg(default_value = "latest")]
    pub run: String,
    /// The key: an Ed25519 key of OpenSSH, or the public half of one that an agent holds
    #[arg(long, value_name = "FILE", env = "EXP_SIGN_KEY")]
    pub key: Utf8PathBuf,
}
