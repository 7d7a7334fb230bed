//! The only things that two cores may both touch.
