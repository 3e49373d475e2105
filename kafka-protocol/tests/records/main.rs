//! Record batches from outside: what the builder writes the reader takes, whatever it is asked for;
//! what others write costs no more memory and time than its bytes justify.

mod builder;
mod clients;
mod hostile;
mod memory;
