use super::StepError;

/// Takes the named outputs of a step.
pub trait Outputs {
    /// Stores one output under its name; a name is given once.
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), StepError>;
}

impl Outputs for std::collections::BTreeMap<String, Vec<u8>> {
    fn put(&mut self, name: &str, bytes: Vec<u8>) -> Result<(), StepError> {
        self.insert(name.to_owned(), bytes);
        Ok(())
    }
}
