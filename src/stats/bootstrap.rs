//! Bootstrap intervals of a mean.

use super::differences::Differences;
use super::exact_sum::exact_sum;
use super::interval::{Interval, Method, is_level, upper_share};
use super::lattice::lattice_round;
use super::special::{normal_cdf, normal_quantile};
use super::stream::Stream;

/// How resamples were drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Resampling {
    /// Counts of the distinct values, as one multinomial sample each.
    Counts,
    /// One index per item.
    Items,
    /// One index per cluster.
    Clusters,
}

/// The means of all resamples, with what is needed to read intervals off them.
#[derive(Debug, Clone, PartialEq)]
pub struct Bootstrap {
    /// The mean of the sample itself.
    pub estimate: f64,
    /// The standard deviation of the resampled means with B − 1, none below two resamples.
    pub standard_error: Option<f64>,
    /// How resamples were drawn.
    pub resampling: Resampling,
    /// The resampled means in increasing order.
    means: Vec<f64>,
    acceleration: f64,
}

/// Drawing one count costs about as much as this many indices.
const COUNT_COST: u64 = 128;

/// Resamples paired differences, item by item.
///
/// If (distinct values − 1) × 128 ≤ n each resample is one multinomial sample of
/// counts, which has exactly the law of n index draws; else it is n index draws.
/// Swapped arms give exactly mirrored means; where the differences are their own
/// mirror image, each resample comes with its own. None below two pairs: one item
/// says nothing about spread.
pub fn bootstrap(differences: &Differences, resamples: u32, stream: &mut Stream) -> Option<Bootstrap> {
    if differences.n() < 2 || differences.n() > u64::from(u32::MAX) || resamples == 0 {
        return None;
    }
    let mirrored = differences.is_mirrored();
    let swapped;
    let source = if mirrored {
        swapped = differences.swapped();
        &swapped
    } else {
        differences
    };
    let n = source.n();
    let distinct = source.runs().len() as u64;
    let (mut means, resampling) = if (distinct - 1) * COUNT_COST <= n {
        (means_of_counts(source, resamples, stream), Resampling::Counts)
    } else {
        (means_of_items(source, resamples, stream), Resampling::Items)
    };
    if mirrored {
        for mean in &mut means {
            *mean = 0.0 - *mean;
        }
    }
    if differences.is_symmetric() {
        add_images(&mut means);
    }
    let acceleration = jackknife_acceleration(differences);
    Bootstrap::from_means(differences.mean()?, means, acceleration, resampling)
}

/// Adds to each mean its mirror image, which is as likely where the sample is its own.
fn add_images(means: &mut Vec<f64>) {
    let images: Vec<f64> = means.iter().map(|mean| 0.0 - mean).collect();
    means.extend(images);
}

/// Returns Efron's acceleration of a mean by the jackknife, Σ l³ / (6 (Σ l²)^1.5) with l = d − mean.
///
/// 0 where there is no spread.
pub fn jackknife_acceleration(differences: &Differences) -> f64 {
    acceleration(differences.central_sum(2), differences.central_sum(3))
}

fn means_of_counts(source: &Differences, resamples: u32, stream: &mut Stream) -> Vec<f64> {
    let counts: Vec<u64> = source.runs().iter().map(|run| run.count).collect();
    let n = source.n() as f64;
    let mut taken = Vec::with_capacity(counts.len());
    (0..resamples)
        .map(|_| {
            stream.resampled_counts(&counts, &mut taken);
            let runs = source.runs().iter().zip(&taken);
            runs.map(|(run, &count)| run.value * count as f64).sum::<f64>() / n
        })
        .collect()
}

fn means_of_items(source: &Differences, resamples: u32, stream: &mut Stream) -> Vec<f64> {
    let values: Vec<f64> =
        source.runs().iter().flat_map(|run| core::iter::repeat_n(run.value, run.count as usize)).collect();
    let n = values.len();
    (0..resamples).map(|_| stream.sum_of_draws(&values, n) / n as f64).collect()
}

/// Resamples whole clusters of differences with replacement.
///
/// `rows` are (difference, cluster) pairs; a difference that is not finite is left
/// out. Each resample draws as many clusters as there are and averages all their
/// differences. Independent of row order and of the clusters' names; swapped arms
/// give exactly mirrored means. None below two clusters.
pub fn cluster_bootstrap<C: Ord>(
    rows: impl IntoIterator<Item = (f64, C)>,
    resamples: u32,
    stream: &mut Stream,
) -> Option<Bootstrap> {
    let mut rows: Vec<(f64, C)> = rows
        .into_iter()
        .filter(|(delta, _)| delta.is_finite())
        .map(|(delta, cluster)| (lattice_round(delta), cluster))
        .collect();
    rows.sort_by(|a, b| a.1.cmp(&b.1));
    let mut clusters: Vec<(f64, f64)> = rows
        .chunk_by(|a, b| a.1 == b.1)
        .map(|part| {
            let sum = exact_sum(part.iter().map(|(delta, _)| *delta));
            (lattice_round(sum), part.len() as f64)
        })
        .collect();
    if clusters.len() < 2 || clusters.len() > u32::MAX as usize || resamples == 0 {
        return None;
    }
    let order = |a: &(f64, f64), b: &(f64, f64)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    clusters.sort_by(order);
    let mut mirror: Vec<(f64, f64)> = clusters.iter().map(|(s, n)| (0.0 - s, *n)).collect();
    mirror.sort_by(order);
    let mirrored = clusters.partial_cmp(&mirror)?.is_lt();
    let source = if mirrored { &mirror } else { &clusters };
    let bound = source.len() as u32;
    let mut means: Vec<f64> = (0..resamples)
        .map(|_| {
            let (mut sum, mut size) = (0.0, 0.0);
            for _ in 0..bound {
                let (s, n) = source[stream.below(bound) as usize];
                sum += s;
                size += n;
            }
            if mirrored { 0.0 - sum / size } else { sum / size }
        })
        .collect();
    if clusters == mirror {
        add_images(&mut means);
    }
    let total = exact_sum(clusters.iter().map(|c| c.0));
    let size: f64 = clusters.iter().map(|c| c.1).sum();
    let estimate = total / size;
    // Influence of a cluster on the ratio Σ sums / Σ sizes.
    let influence = |c: &(f64, f64)| c.0 - estimate * c.1;
    let squares = exact_sum(clusters.iter().map(|c| influence(c) * influence(c)));
    let cubes = exact_sum(clusters.iter().map(|c| influence(c) * influence(c) * influence(c)));
    Bootstrap::from_means(estimate, means, acceleration(squares, cubes), Resampling::Clusters)
}

/// Returns Efron's acceleration Σ l³ / (6 (Σ l²)^1.5), 0 where there is no spread.
fn acceleration(squares: f64, cubes: f64) -> f64 {
    if squares > 0.0 { cubes / (6.0 * squares * libm::sqrt(squares)) } else { 0.0 }
}

impl Bootstrap {
    /// Creates a bootstrap from resampled means in any order.
    ///
    /// `acceleration` is Σ l³ / (6 (Σ l²)^1.5) over the items' influences l. None
    /// without means or with one that is not finite.
    pub fn from_means(estimate: f64, mut means: Vec<f64>, acceleration: f64, resampling: Resampling) -> Option<Self> {
        if means.is_empty() || !means.iter().all(|m| m.is_finite()) {
            return None;
        }
        means.sort_unstable_by(f64::total_cmp);
        let count = means.len() as f64;
        let centre = exact_sum(means.iter().copied()) / count;
        let squares = exact_sum(means.iter().map(|m| (m - centre) * (m - centre)));
        Some(Self {
            estimate,
            standard_error: (means.len() > 1).then(|| libm::sqrt(squares / (count - 1.0))),
            resampling,
            means,
            acceleration,
        })
    }

    /// Returns the number of resamples.
    pub fn resamples(&self) -> usize {
        self.means.len()
    }

    /// Returns the resampled means in increasing order.
    pub fn means(&self) -> &[f64] {
        &self.means
    }

    /// Returns the percentile interval: the (1 ± level)/2 quantiles of the means, type 7.
    pub fn percentile(&self, level: f64) -> Option<Interval> {
        let method = match self.resampling {
            Resampling::Clusters => Method::ClusterBootstrapPercentile,
            _ => Method::BootstrapPercentile,
        };
        let (lower, upper) = (0.5 * (1.0 - level), upper_share(level));
        self.between(lower, upper, level, method)
    }

    /// Returns the bias-corrected and accelerated interval (Efron 1987).
    ///
    /// z0 counts means equal to the estimate half. None where every mean lies on
    /// one side of the estimate, as the bias correction is then infinite.
    pub fn bca(&self, level: f64) -> Option<Interval> {
        let method = match self.resampling {
            Resampling::Clusters => Method::ClusterBootstrapBca,
            _ => Method::BootstrapBca,
        };
        let (lower, upper) = self.bca_shares(level)?;
        self.between(lower, upper, level, method)
    }

    /// Returns the shares of the means below the two ends of the BCa interval.
    pub fn bca_shares(&self, level: f64) -> Option<(f64, f64)> {
        let z0 = self.bias_correction()?;
        let z = normal_quantile(upper_share(level));
        let share = |z: f64| {
            let w = z0 + z;
            normal_cdf(z0 + w / (1.0 - self.acceleration * w))
        };
        (is_level(level)).then(|| (share(-z), share(z)))
    }

    /// Returns z0, the normal quantile of the share of means below the estimate, ties counted half.
    pub fn bias_correction(&self) -> Option<f64> {
        let round = lattice_round;
        let estimate = round(self.estimate);
        let below = self.means.partition_point(|&m| round(m) < estimate);
        let through = self.means.partition_point(|&m| round(m) <= estimate);
        let share = (below + through) as f64 / (2.0 * self.means.len() as f64);
        let z0 = normal_quantile(share);
        z0.is_finite().then_some(z0)
    }

    /// Returns Efron's acceleration constant.
    pub fn acceleration(&self) -> f64 {
        self.acceleration
    }

    fn between(&self, lower: f64, upper: f64, level: f64, method: Method) -> Option<Interval> {
        let (a, b) = (quantile(&self.means, lower)?, quantile(&self.means, upper)?);
        Interval::checked(a, b, level, method)
    }
}

/// Returns the `share` quantile of sorted values by linear interpolation (Hyndman and Fan's type 7).
///
/// None if there is no value or the share lies outside [0, 1].
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    if !(0.0..=1.0).contains(&share) {
        return None;
    }
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    let floor = libm::floor(position);
    let lower = *sorted.get(floor as usize)?;
    let upper = *sorted.get((floor as usize + 1).min(last))?;
    Some(lower + (upper - lower) * (position - floor))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(n: u32) -> Differences {
        Differences::from_deltas((0..n).map(|i| f64::from(i % 5) - 1.5))
    }

    #[test]
    fn one_item_has_no_interval_and_ties_have_no_width() {
        let mut stream = Stream::derive(1, "x");
        let one = Differences::from_deltas([0.5]);
        assert!(bootstrap(&one, 100, &mut stream).is_none());
        let tied = Differences::from_deltas([0.5; 4]);
        let boot = bootstrap(&tied, 100, &mut stream).unwrap();
        assert_eq!(boot.percentile(0.95).map(Interval::width), Some(0.0));
        assert_eq!(boot.standard_error, Some(0.0));
    }

    #[test]
    fn counts_and_items_have_the_same_law() {
        let d = sample(600);
        let mut stream = Stream::derive(3, "law");
        let counts = means_of_counts(&d, 4000, &mut stream);
        let items = means_of_items(&d, 4000, &mut stream);
        let theory = d.sd().unwrap() * libm::sqrt(599.0 / 600.0 / 600.0);
        for means in [counts, items] {
            let boot = Bootstrap::from_means(0.0, means, 0.0, Resampling::Items).unwrap();
            // The relative error of a standard deviation from 4,000 draws is 1.1 %.
            assert!((boot.standard_error.unwrap() / theory - 1.0).abs() < 0.045);
        }
    }

    #[test]
    fn swapping_arms_mirrors_the_interval_exactly() {
        let symmetric = Differences::from_deltas([0.5, -0.25, 0.75, -0.5, 0.25, -0.75, 0.0]);
        for d in [sample(600), Differences::from_deltas([0.1, 0.7, -0.3, 0.25]), symmetric] {
            let interval = |d: &Differences| {
                let mut stream = Stream::derive(5, "swap");
                bootstrap(d, 500, &mut stream).unwrap()
            };
            let (a, b) = (interval(&d), interval(&d.swapped()));
            let mirrored: Vec<f64> = b.means().iter().rev().map(|m| 0.0 - m).collect();
            assert_eq!(a.means(), mirrored);
        }
        // Groups that are their own mirror image, too: (0.5, two items) and (−0.5, two items), and one of 0.
        let rows = [(0.25, 'a'), (0.25, 'a'), (-0.5, 'b'), (0.0, 'b'), (0.0, 'c')];
        let swapped = rows.map(|(delta, cluster)| (0.0 - delta, cluster));
        let interval = |rows: [(f64, char); 5]| {
            cluster_bootstrap(rows, 99, &mut Stream::derive(5, "swap")).unwrap().percentile(0.9).unwrap()
        };
        let (a, b) = (interval(rows), interval(swapped));
        assert_eq!((a.lower, a.upper), (0.0 - b.upper, 0.0 - b.lower));
    }

    #[test]
    fn singleton_clusters_spread_like_items() {
        let deltas: Vec<f64> = (0..300).map(|i| f64::from(i % 7) / 3.0).collect();
        let rows = deltas.iter().copied().zip(0..);
        let mut stream = Stream::derive(9, "clusters");
        let clustered = cluster_bootstrap(rows, 4000, &mut stream).unwrap();
        let d = Differences::from_deltas(deltas.iter().copied());
        let ratio = clustered.standard_error.unwrap() / d.standard_error().unwrap();
        assert!((ratio - 1.0).abs() < 0.045, "{ratio}");
        assert_eq!(clustered.resampling, Resampling::Clusters);
        // Ten copies of 30 clusters' worth of equal items are 30 observations.
        let rows = deltas.iter().copied().zip((0..300).map(|i| i % 7));
        let few = cluster_bootstrap(rows, 4000, &mut stream).unwrap();
        assert!(few.standard_error > clustered.standard_error.map(|se| 3.0 * se));
        assert!(cluster_bootstrap([(1.0, 0), (2.0, 0)], 10, &mut stream).is_none());
    }

    #[test]
    fn row_order_and_cluster_names_do_not_matter() {
        let rows = [(0.5, "a"), (1.0, "b"), (0.0, "a"), (-0.25, "c")];
        let renamed = [(-0.25, 1), (0.0, 9), (1.0, 3), (0.5, 9)];
        let a = cluster_bootstrap(rows, 50, &mut Stream::derive(2, "r"));
        let b = cluster_bootstrap(renamed, 50, &mut Stream::derive(2, "r"));
        assert_eq!(a, b);
    }

    #[test]
    fn quantiles_interpolate() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), Some(3.0));
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 1.0), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[1.0], f64::NAN), None);
    }

    #[test]
    fn golden_vector_of_a_whole_bootstrap() {
        let d = Differences::from_deltas([-1.0, 0.25, 1.0, 0.0, 1.0, 0.0]);
        let boot = bootstrap(&d, 4, &mut Stream::derive(1337, "golden")).unwrap();
        // The same stream written independently in Python gives these means.
        let sums = [0.5, 1.25, 2.5, 3.25];
        assert_eq!(boot.means(), sums.map(|sum: f64| sum / 6.0));
    }
}
