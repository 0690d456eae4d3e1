//! The pages in a real browser, over real clusters.

mod hostile;
mod live;
