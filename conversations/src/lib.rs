//! What the two byte streams of a connection say in HTTP: requests with their answers. Nothing here
//! knows of packets, does IO or reads a clock.
