use std::collections::{BTreeSet, HashMap};

/// Is where a row without values of an item is looked for.
const NONE: u32 = u32::MAX;

/// Says what a row of the table is of, but for the item.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    condition: String,
    kind: String,
    temperature: String,
}

/// Is a `per_item_scores.csv`, read: about 50 bytes and its name for an item, and 8 for a value.
#[derive(Debug, Default)]
pub(super) struct ItemTable {
    metrics: Vec<String>,
    /// The items' keys, `dataset|item`, sorted.
    items: Vec<String>,
    places: Vec<Place>,
    /// The row of each item at each place.
    rows: Vec<Vec<u32>>,
    /// The values, row by row; not a number where there is none.
    values: Vec<f64>,
}

/// Are the columns that are not metrics.
const PLACES: [&str; 6] = ["condition", "item_key", "temp", "type", "n_draws", "n_missing"];

impl ItemTable {
    /// Reads the table; an empty cell is no value, which is not 0.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let mut reader = csv::Reader::from_reader(bytes);
        let header = reader.headers().map_err(|error| error.to_string())?.clone();
        let column = |name: &str| header.iter().position(|column| column == name);
        let place = |name: &str| column(name).ok_or_else(|| format!("it has no column `{name}`"));
        let [condition, item, temperature, kind] =
            [place("condition")?, place("item_key")?, place("temp")?, place("type")?];
        let is_metric = |name: &str| {
            // `em_std` belongs to `em`.
            let spread = name.strip_suffix("_std").is_some_and(|metric| column(metric).is_some());
            !PLACES.contains(&name) && !spread
        };
        let columns: Vec<usize> = (0..header.len()).filter(|at| is_metric(&header[*at])).collect();
        let mut table = Self { metrics: columns.iter().map(|at| header[*at].to_owned()).collect(), ..Self::default() };
        let mut known: HashMap<String, u32> = HashMap::new();
        let mut rows: Vec<(u32, u32)> = Vec::new();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(|error| error.to_string())? {
            let text = |at: usize| record.get(at).unwrap_or_default();
            for at in &columns {
                let cell = text(*at);
                let value = match cell {
                    "" => f64::NAN,
                    _ => (cell.parse::<f64>().ok().filter(|value| value.is_finite()))
                        .ok_or_else(|| format!("`{cell}` in column `{}` is not a number", &header[*at]))?,
                };
                table.values.push(value);
            }
            let number = known.len() as u32;
            let item = *match known.get(text(item)) {
                Some(number) => number,
                None => known.entry(text(item).to_owned()).or_insert(number),
            };
            rows.push((table.place(text(condition), text(kind), text(temperature)), item));
        }
        let mut sorted: Vec<(String, u32)> = known.into_iter().collect();
        sorted.sort_unstable();
        let mut rank = vec![NONE; sorted.len()];
        for (at, (_, number)) in sorted.iter().enumerate() {
            rank[*number as usize] = at as u32;
        }
        table.items = sorted.into_iter().map(|(name, _)| name).collect();
        table.rows = vec![vec![NONE; table.items.len()]; table.places.len()];
        for (row, (place, item)) in rows.into_iter().enumerate() {
            table.rows[place as usize][rank[item as usize] as usize] = row as u32;
        }
        Ok(table)
    }

    fn place(&mut self, condition: &str, kind: &str, temperature: &str) -> u32 {
        let is_it =
            |place: &Place| place.condition == condition && place.kind == kind && place.temperature == temperature;
        let at = self.places.iter().position(is_it).unwrap_or_else(|| {
            let [condition, kind, temperature] = [condition, kind, temperature].map(str::to_owned);
            self.places.push(Place { condition, kind, temperature });
            self.places.len() - 1
        });
        at as u32
    }

    /// Lists the items' keys, sorted.
    pub(super) fn items(&self) -> &[String] {
        &self.items
    }

    /// Lists the metrics in the order of the columns.
    pub(super) fn metrics(&self) -> &[String] {
        &self.metrics
    }

    /// Lists the conditions and types that there are rows of, sorted.
    pub(super) fn groups(&self) -> BTreeSet<(&str, &str)> {
        self.places.iter().map(|place| (place.condition.as_str(), place.kind.as_str())).collect()
    }

    /// Counts the temperatures.
    fn temperatures(&self) -> usize {
        self.places.iter().map(|place| &place.temperature).collect::<BTreeSet<_>>().len()
    }

    /// Lists the places of two tables that are the same: condition and type are these, and so is the temperature where either
    /// table has several.
    pub(super) fn same_places(&self, other: &Self, (condition, kind): (&str, &str)) -> Vec<(usize, usize)> {
        let with_temperature = self.temperatures() > 1 || other.temperatures() > 1;
        let mut all = Vec::new();
        for (at, one) in
            self.places.iter().enumerate().filter(|(_, one)| one.condition == condition && one.kind == kind)
        {
            let is_same = |other: &Place| {
                other.condition == condition
                    && other.kind == kind
                    && (!with_temperature || other.temperature == one.temperature)
            };
            all.extend(other.places.iter().position(is_same).map(|other| (at, other)));
        }
        all
    }

    /// Returns the value of an item at a place, if it has one.
    pub(super) fn value(&self, place: usize, item: usize, metric: usize) -> Option<f64> {
        let row = self.rows[place][item];
        let value = (row != NONE).then(|| self.values[row as usize * self.metrics.len() + metric])?;
        (!value.is_nan()).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "condition,em,em_std,item_key,temp,type,n_draws,n_missing,f1,f1_std\r\n\
        treatment,1.0,0.0,d|2,0.0,open,1,0,0.5,0.0\r\n\
        control,,,d|1,0.0,open,1,0,,\r\n\
        control,0.0,0.0,d|2,0.0,open,1,0,0.25,0.0\r\n";

    #[test]
    fn rows_are_found_by_place_and_item() {
        let table = ItemTable::read(TABLE.as_bytes()).unwrap();
        assert_eq!(
            (table.items(), table.metrics()),
            (&["d|1".into(), "d|2".into()][..], &["em".into(), "f1".into()][..])
        );
        assert_eq!(table.groups(), BTreeSet::from([("control", "open"), ("treatment", "open")]));
        let [(treatment, _)] = table.same_places(&table, ("treatment", "open"))[..] else { panic!() };
        let [(control, _)] = table.same_places(&table, ("control", "open"))[..] else { panic!() };
        assert_eq!((table.value(treatment, 1, 0), table.value(treatment, 1, 1)), (Some(1.0), Some(0.5)));
        assert_eq!((table.value(treatment, 0, 0), table.value(control, 0, 0)), (None, None));
        assert_eq!(table.value(control, 1, 1), Some(0.25));
        assert_eq!(table.same_places(&table, ("control", "closed")), []);
    }

    #[test]
    fn of_several_temperatures_each_has_its_place() {
        let two = ItemTable::read(format!("{TABLE}control,1.0,0.0,d|1,0.7,open,1,0,,\r\n").as_bytes()).unwrap();
        let one = ItemTable::read(TABLE.replace(",0.0,open", ",0.7,open").as_bytes()).unwrap();
        assert_eq!(two.same_places(&two, ("control", "open")).len(), 2);
        let [(hot, other)] = two.same_places(&one, ("control", "open"))[..] else { panic!() };
        assert_eq!((two.value(hot, 0, 0), one.value(other, 1, 0)), (Some(1.0), Some(0.0)));
    }

    #[test]
    fn tables_that_are_none_are_refused() {
        assert!(ItemTable::read(b"a,b\n1,2\n").is_err());
        assert!(ItemTable::read(TABLE.replace("0.25", "x").as_bytes()).is_err());
    }
}
