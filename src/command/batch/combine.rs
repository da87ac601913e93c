//! Several lists of arguments make jobs: all combinations, the last list changing fastest; or, where lists are linked, their
//! first items together, then their second ones, as long as the shortest lasts.

/// One list of arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The arguments.
    pub items: Vec<String>,
    /// Goes along with the list before it (`:::+`).
    pub linked: bool,
}

impl List {
    /// A list that is combined with all others.
    pub fn new(items: Vec<String>) -> List {
        List { items, linked: false }
    }
}

/// The arguments of the jobs, in order; see the module.
pub struct Combinations<'a> {
    groups: Vec<Group<'a>>,
    next: usize,
    count: usize,
}

/// Lists that go together, and how many items they have in common.
struct Group<'a> {
    lists: Vec<&'a List>,
    length: usize,
}

impl<'a> Combinations<'a> {
    /// All combinations of `lists`.
    pub fn new(lists: &'a [List]) -> Combinations<'a> {
        let mut groups: Vec<Group<'a>> = Vec::new();
        for list in lists {
            match groups.last_mut() {
                Some(group) if list.linked => {
                    group.length = group.length.min(list.items.len());
                    group.lists.push(list);
                }
                _ => groups.push(Group { lists: vec![list], length: list.items.len() }),
            }
        }
        let product = groups.iter().try_fold(1usize, |count, group| count.checked_mul(group.length));
        let count = if groups.is_empty() { 0 } else { product.unwrap_or(usize::MAX) };
        Combinations { groups, next: 0, count }
    }
}

impl<'a> Iterator for Combinations<'a> {
    type Item = Vec<&'a str>;

    fn next(&mut self) -> Option<Vec<&'a str>> {
        if self.next >= self.count {
            return None;
        }
        let mut rest = self.next;
        self.next += 1;
        let mut chosen: Vec<usize> = vec![0; self.groups.len()];
        for (at, group) in self.groups.iter().enumerate().rev() {
            chosen[at] = rest % group.length;
            rest /= group.length;
        }
        let items =
            self.groups.iter().zip(chosen).flat_map(|(group, at)| {
                group.lists.iter().filter_map(move |list| list.items.get(at)).map(String::as_str)
            });
        Some(items.collect())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Combinations<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// `"A B * 1 2 + x y"`: `*` begins another list, `+` a linked one.
    fn combined(text: &str) -> String {
        let mut lists = vec![List::default()];
        for word in text.split_whitespace() {
            match word {
                "*" | "+" => lists.push(List { items: Vec::new(), linked: word == "+" }),
                item => lists.last_mut().unwrap().items.push(item.to_string()),
            }
        }
        let all = Combinations::new(&lists);
        let count = all.len();
        let jobs: Vec<String> = all.map(|job| job.join("")).collect();
        assert_eq!(jobs.len(), count);
        jobs.join(" ")
    }

    #[test]
    fn the_last_list_changes_fastest() {
        assert_eq!(combined("A B"), "A B");
        assert_eq!(combined("A B * 1 2"), "A1 A2 B1 B2");
        assert_eq!(combined("A B * 1 2 * x y"), "A1x A1y A2x A2y B1x B1y B2x B2y");
    }

    #[test]
    fn linked_lists_go_together_as_long_as_the_shortest() {
        assert_eq!(combined("A B C + 1 2"), "A1 B2");
        assert_eq!(combined("A B + 1 2 * x y"), "A1x A1y B2x B2y");
        assert_eq!(combined("A B * 1 2 + x y"), "A1x A2y B1x B2y");
        assert_eq!(combined("A B + 1 2 + x y"), "A1x B2y");
    }

    #[test]
    fn an_empty_list_leaves_nothing() {
        assert_eq!(combined("A B *"), "");
        assert_eq!(combined(""), "");
        assert_eq!(Combinations::new(&[]).count(), 0);
    }

    #[test]
    fn more_than_can_be_counted_are_not_counted() {
        let hundred = List::new((0..100).map(|n| n.to_string()).collect());
        let lists: Vec<List> = (0..20).map(|_| hundred.clone()).collect();
        let mut all = Combinations::new(&lists);
        assert_eq!(all.len(), usize::MAX);
        assert_eq!(all.next().map(|job| job.len()), Some(20));
    }
}
