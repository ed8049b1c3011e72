/// Is what one thread sends through: nothing, for a provider that is embedded here.
#[derive(Debug, Default)]
pub struct Line {}
