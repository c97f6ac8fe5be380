//! What the shop sells. Fixed, so that two healthy copies of the service agree.

use serde::Serialize;

/// A product as it is shown to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Product {
    /// Such as `p-100`.
    pub id: &'static str,
    /// For people.
    pub name: &'static str,
    /// One word.
    pub category: &'static str,
    /// In cents.
    pub price_cents: u64,
}

const fn product(
    id: &'static str,
    name: &'static str,
    category: &'static str,
    price_cents: u64,
) -> Product {
    Product { id, name, category, price_cents }
}

/// All products.
pub const PRODUCTS: [Product; 10] = [
    product("p-100", "NVMe SSD 1TB", "storage", 6900),
    product("p-101", "NVMe SSD 2TB", "storage", 11900),
    product("p-102", "DDR5 RAM 16GB", "memory", 5200),
    product("p-103", "DDR5 RAM 32GB", "memory", 9800),
    product("p-104", "USB-C Hub", "accessories", 2900),
    product("p-105", "Mechanical Keyboard", "peripherals", 7900),
    product("p-106", "1080p Webcam", "peripherals", 3400),
    product("p-107", "27\" 144Hz Monitor", "display", 22900),
    product("p-108", "Wireless Mouse", "peripherals", 1900),
    product("p-109", "External SSD 1TB", "storage", 8900),
];

/// The product of this id.
pub fn find(id: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.id == id)
}

/// Products whose name, category or id contains the term, without regard to case and to white
/// space around it; all for an empty term.
pub fn search(term: &str) -> Vec<&'static Product> {
    let term = term.trim().to_lowercase();
    let contains = |text: &str| text.to_lowercase().contains(&term);
    PRODUCTS
        .iter()
        .filter(|product| [product.name, product.category, product.id].into_iter().any(contains))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(term: &str) -> Vec<&'static str> {
        search(term).into_iter().map(|product| product.id).collect()
    }

    #[test]
    fn search_looks_into_name_category_and_id_without_case() {
        assert_eq!(ids(" sSd "), ["p-100", "p-101", "p-109"]);
        assert_eq!(ids("MEMORY"), ["p-102", "p-103"]);
        assert_eq!(ids("P-107"), ["p-107"]);
        assert_eq!(ids("no such thing"), [""; 0]);
    }

    #[test]
    fn an_empty_term_gives_all() {
        assert_eq!(ids("").len(), 10);
        assert_eq!(ids("  ").len(), 10);
    }
}
