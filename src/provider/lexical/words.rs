//! The word lists: closed classes of English words, and nothing else that the reader knows of language.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::passage::BuildStemHasher;
use super::token::{Marks, fnv};

/// Returns the marks of a lower-case word by its hash: those of every list that it stands in.
pub(super) fn listed(word: u64) -> Marks {
    MARKS.get(&word).copied().unwrap_or_default()
}

/// Reads lists of words, parted by white space, into a table by hash; a word of several lists has its values joined.
pub(super) fn table<V: Copy>(lists: &[(V, &str)], join: impl Fn(V, V) -> V) -> HashMap<u64, V, BuildStemHasher> {
    let mut table: HashMap<u64, V, BuildStemHasher> = HashMap::default();
    for (value, words) in lists {
        for word in words.split_whitespace() {
            table.entry(fnv(word)).and_modify(|old| *old = join(*old, *value)).or_insert(*value);
        }
    }
    table
}

/// Holds [`LISTS`] by hash.
static MARKS: LazyLock<HashMap<u64, Marks, BuildStemHasher>> = LazyLock::new(|| table(LISTS, Marks::with));

/// Are the lists.
const LISTS: &[(Marks, &str)] = &[
    // Words that carry no content of their own and bound a noun phrase.
    (
        Marks::FUNCTION,
        "a an the this that these those some any each every both such of in on at by for from to into onto with \
         without within through during before after between among against about above below under over near since \
         until till upon across along around behind beside besides beyond toward towards via per despite off out \
         up down as than like unlike and or but nor so yet if then because although though while whereas unless \
         whether not no i you he she it we they me him her us them my your his its our their himself herself \
         itself themselves there here also only even just very too however therefore thus ago who whom whose which \
         what when where why how other own same more most much many less least few fewer several all none",
    ),
    // Auxiliary verbs.
    (
        Marks::FUNCTION.with(Marks::VERB),
        "be am is are was were been being do does did done have has had having can could will would shall should \
         may might must cannot can't don't doesn't didn't isn't wasn't weren't aren't",
    ),
    // Common verb forms that end in neither -ed nor -ing.
    (
        Marks::VERB,
        "became become becomes began begin begins begun bring brought build built came come comes cost costs fell \
         find found gave get gets give given gives go goes got grew held hold holds keep keeps kept knew know \
         known lay led left lies live lives lost made make makes meet met paid put ran read rose run runs said \
         sang saw say says see seen sell sent set sets sold speak spoke stand stands stood take taken takes taught \
         tell thought told took went win won wrote written include includes drew drawn gone let allow allows \
         provide provides remain remains require requires refer refers use uses want wanted seek seeks sought need \
         needs caught show shows shown spread split struck swept wore worn broke broken",
    ),
    // Words inside a name, between two capitalised ones.
    (Marks::JOINS, "of the and de du des la le von van der den al di da for"),
    // Cardinal numbers.
    (
        Marks::NUMBER,
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
         seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety half dozen twice thrice",
    ),
    // What multiplies a number.
    (
        Marks::NUMBER.with(Marks::MAGNITUDE),
        "hundred hundreds thousand thousands million millions billion billions trillion",
    ),
    // Ordinal numbers.
    (
        Marks::ORDINAL,
        "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth \
         fifteenth sixteenth seventeenth eighteenth nineteenth twentieth",
    ),
    // Months; names only with a capital.
    (Marks::MONTH, "january february march april may june july august september october november december"),
    // Times without a number.
    (
        Marks::TIME,
        "monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays \
         saturdays sundays spring summer autumn winter dawn dusk noon midnight sunrise sunset easter christmas",
    ),
    // Units of measure, money and time.
    (
        Marks::UNIT,
        "percent per cent metre metres meters kilometre kilometres kilometers mile miles feet foot inch inches \
         centimetre centimetres millimetres tonne tonnes tons ton kilogram kilograms kilogrammes grams pounds \
         pound ounces litre litres gallons acres hectares degrees dollars pence shillings euros crowns guineas km \
         m cm mm kg ft mph knots barrels volts watts fathoms leagues second seconds minute minutes hour hours day \
         days week weeks fortnight month months year years decade decades century centuries",
    ),
    // Words before a name that make it a place.
    (
        Marks::PLACE,
        "in at on near from to into across around beside behind under below above over between through beneath \
         outside inside along off towards",
    ),
    // Words whose full stop does not end a sentence.
    (Marks::ABBREVIATION, "mr mrs ms dr st prof sr jr gen col capt lt rev vs etc no c ca e.g i.e u.s d.c"),
];

/// Reads "twenty-one" and the like.
pub(super) fn is_compound_number(word: &str) -> bool {
    word.split_once('-').is_some_and(|(tens, ones)| {
        matches!(tens, "twenty" | "thirty" | "forty" | "fifty" | "sixty" | "seventy" | "eighty" | "ninety")
            && matches!(ones, "one" | "two" | "three" | "four" | "five" | "six" | "seven" | "eight" | "nine")
    })
}
