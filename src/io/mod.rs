//! Sockets, clocks and dialling behind small traits.
