use std::borrow::Cow;

use super::dataset::Item;
use super::template::{Anchor, Template};
use super::text_input::{read_text, without_final_newline};
use super::{InputProblem, Inputs, StepError};
use crate::plan::JudgeBuildParams;
use crate::request::{Message, Request, Role, Terms};

/// Is what a model that judges is told: the templates of its messages.
pub(super) struct JudgeTemplates {
    user: Template,
    system: Option<Template>,
}

/// Names what the user's message has to show.
pub(super) struct Required {
    /// The fields that show it: one of them stands there.
    pub(super) fields: [&'static str; 2],
    /// What is wrong where none does.
    pub(super) fault: &'static str,
    /// What helps.
    pub(super) remedy: &'static str,
}

impl JudgeTemplates {
    /// Reads the inputs `user` and, where there is one, `system`.
    ///
    /// Errors: [`StepError::Inputs`] with what is wrong in both, at its place, and with what is not shown.
    pub(super) fn read(inputs: &Inputs<'_>, required: &[Required]) -> Result<Self, StepError> {
        let mut found: Vec<InputProblem> = Vec::new();
        let user = template(inputs, "user", &mut found)?;
        let system = match inputs.find("system") {
            Some(_) => template(inputs, "system", &mut found)?,
            None => None,
        };
        if let Some(user) = &user {
            for Required { fields, fault, remedy } in required {
                if !user.fields().any(|field| fields.contains(&field)) {
                    user.fault(0, (*fault).to_owned(), (*remedy).to_owned(), &mut found);
                }
            }
        }
        match user {
            Some(user) if found.is_empty() => Ok(Self { user, system }),
            _ => Err(StepError::Inputs(found)),
        }
    }

    /// Lists the fields that both messages show.
    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.user.fields().chain(self.system.iter().flat_map(Template::fields))
    }

    /// Renders the messages about an item, with fields of `more` that stand before its own.
    ///
    /// Errors: [`StepError::Inputs`] with each field that the item does not have.
    pub(super) fn messages<'m>(
        &self,
        item: &Item<'_>,
        more: &dyn Fn(&str) -> Option<Cow<'m, str>>,
    ) -> Result<Vec<Message>, StepError> {
        let mut lacking = Vec::new();
        let mut messages = Vec::with_capacity(2);
        for (role, template) in [(Role::System, self.system.as_ref()), (Role::User, Some(&self.user))] {
            messages.extend(template.map(|of| Message::new(role, of.render_with(item, more, &mut lacking))));
        }
        if lacking.is_empty() { Ok(messages) } else { Err(StepError::Inputs(lacking)) }
    }
}

/// Reads a template; faults are added to `found`.
fn template(inputs: &Inputs<'_>, name: &str, found: &mut Vec<InputProblem>) -> Result<Option<Template>, StepError> {
    let Some(text) = read_text(inputs, name, found)? else { return Ok(None) };
    Ok(Template::parse(&inputs.need(name)?.label, without_final_newline(&text), Anchor::Whole, found))
}

/// Returns what all requests to a judge share.
pub(super) fn asked(params: &JudgeBuildParams) -> Request {
    let terms = Terms {
        provider: params.provider.clone(),
        model: params.model.clone(),
        revision: params.revision.clone(),
        decoding: params.decoding.clone(),
        extra: params.extra.clone(),
        draw_salt: None,
    };
    Request { terms: terms.into(), messages: Vec::new(), recording: None }
}
