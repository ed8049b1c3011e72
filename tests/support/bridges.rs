//! Questions about bridges, and the prompts that ask them.

use super::Project;

/// Writes the items, and the prompts of the control and of the arm `one`.
pub fn bridges(project: &Project, items: usize) {
    let row = |n: usize| {
        format!(
            "{{\"id\":\"i{n}\",\"question\":\"Who opened the bridge number {n}?\",\"answers\":[\"Ada Pell\"],\
             \"context\":\"The bridge number {n} was opened by Ada Pell in {}. Jon Abel drew it. It is {} metres long, \
             and Mina Holt paid for it.\"}}\n",
            1800 + n,
            10 + n
        )
    };
    project.file("data/d.jsonl", (0..items).map(row).collect::<String>());
    project.file("prompts/control.txt", "You answer questions.\n");
    project.file("prompts/one.txt", "Answer in at most four words.\n");
}
