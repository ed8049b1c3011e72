use super::block::main_metric;
use super::item_set::ItemSet;
use crate::digest::Decimal;
use crate::stats::{RiskCurve, SelectiveItem};
use crate::step::significance::{Arms, RiskPoint, SelectiveRisk};

/// Draws risk against coverage; none where the items have no abstentions or nothing says right or wrong.
///
/// Credit for abstaining does not count as right. An item whose abstentions and false answers add up to all its draws is
/// unanswerable, or was never answered: nothing of it is right.
pub(super) fn selective_risk(set: &ItemSet<'_>, thresholds: &[Decimal]) -> Option<SelectiveRisk> {
    let place = |name: &str| set.metrics.iter().position(|metric| metric == name);
    let (right, abstain) = (main_metric(&set.metrics)?, place("abstain_rate")?);
    let false_answer = place("false_answer_rate");
    let item = |arm: usize, item: u32| {
        let share = |metric: usize| set.moments(item, arm, metric)?.mean();
        let answered = 1.0 - share(abstain)?;
        let is_unanswerable = false_answer.and_then(share).is_some_and(|wrong| wrong >= answered - 1e-9);
        Some(SelectiveItem { answered, correct: if is_unanswerable { 0.0 } else { share(right)? } })
    };
    let curves = [0, 1].map(|arm| {
        let curve = RiskCurve::new(set.items.iter().filter_map(|&at| item(arm, at)));
        curve.full_coverage().is_some().then_some(curve)
    });
    if curves.iter().all(Option::is_none) {
        return None;
    }
    let common = match &curves {
        [Some(control), Some(treatment)] => {
            control.full_coverage().zip(treatment.full_coverage()).map(|(a, b)| a.min(b))
        }
        _ => None,
    };
    let points = |curve: &RiskCurve| -> Vec<RiskPoint> {
        let point = |threshold: &Decimal| {
            let point = curve.point(threshold.to_f64());
            RiskPoint {
                threshold: point.threshold,
                coverage: point.coverage,
                selective_accuracy: point.accuracy,
                risk: point.risk,
            }
        };
        thresholds.iter().map(point).collect()
    };
    Some(SelectiveRisk {
        metric: set.metrics[right].clone(),
        thresholds: thresholds.iter().map(Decimal::to_f64).collect(),
        points: Arms::new(curves.each_ref().map(|curve| curve.as_ref().map(points))),
        aurc: Arms::new(curves.each_ref().map(|curve| curve.as_ref().map(RiskCurve::aurc))),
        common_coverage: common,
        aurc_at_common_coverage: Arms::new(curves.each_ref().map(|curve| Some(curve.as_ref()?.aurc_to(common?)))),
    })
}
