//! From instances to a rule: the argument that some ranks stand for all.

use aiai_ir::{Rule, RuleInfo};

use super::{Algebra, InstanceProof, Ranks, RuleProof, prove};
use crate::solver::Solver;

pub fn prove_all(info: &RuleInfo, instances: &[Rule], solver: &mut dyn Solver) -> RuleProof {
    let mut steps = Vec::new();
    let mut float_proved = !instances.is_empty();
    let mut most = 0;
    let mut bounded: Option<String> = None;
    let mut all_uniform = true;
    for rule in instances {
        let proof = prove(rule, solver);
        float_proved &= proof.float_proved;
        steps.push(format!("{}: {:?}", describe(rule), proof.algebra));
        steps.extend(proof.steps);
        all_uniform &= proof.uniform_packs;
        most = most.max(rule.instance.ranks.values().copied().max().unwrap_or(0));
        match proof.algebra {
            InstanceProof::Proved => {}
            InstanceProof::Bounded { sizes } => bounded = Some(sizes),
            InstanceProof::Unknown { why } | InstanceProof::Refuted { why } => {
                return RuleProof {
                    algebra: Algebra::None {
                        why: format!("{}: {why}", describe(rule)),
                    },
                    float_proved,
                    steps,
                };
            }
        }
    }
    if instances.is_empty() {
        let why = "there is no instance".into();
        return RuleProof {
            algebra: Algebra::None { why },
            float_proved,
            steps,
        };
    }
    let ranks = if info.packs.is_empty() || all_uniform {
        Ranks::All
    } else {
        Ranks::UpTo(most)
    };
    let algebra = match bounded {
        Some(sizes) => Algebra::Bounded { sizes },
        None => Algebra::Proved { ranks },
    };
    RuleProof {
        algebra,
        float_proved,
        steps,
    }
}

fn describe(rule: &Rule) -> String {
    let ranks = rule.instance.ranks.iter().map(|(k, v)| format!("..{k}: {v}"));
    let dtypes = rule.instance.dtypes.iter().map(|(k, v)| format!("{k}: {v}"));
    let attributes = rule
        .instance
        .attributes
        .iter()
        .map(|(k, v)| format!("{k}: {v:?}"));
    let all: Vec<String> = ranks.chain(dtypes).chain(attributes).collect();
    format!("{}({})", rule.name, all.join(", "))
}

/// Whether every pack is used in such a way that rank 1 stands for all ranks.
pub fn uniform(rule: &Rule) -> bool {
    rule.instance.ranks.is_empty()
}
