//! `commit` and `rollback`.

use crate::device::Job;
use crate::error::Error;
use crate::output::{Output, head, pairs};
use edge_runtime::client::report::{ActiveHead, Committed};
use edge_runtime::client::{Client, Pipe};

/// Makes the head that waits the active one.
pub struct Commit;

impl Job for Commit {
    fn run<P: Pipe>(self, client: &mut Client<P>, output: Output) -> Result<(), Error> {
        let head_sequence = client.commit()?;
        output.print(&Committed { head_sequence }, || {
            pairs(&[("head", format!("number {head_sequence}"))])
        })
    }
}

/// Goes back to the head before.
pub struct Rollback;

impl Job for Rollback {
    fn run<P: Pipe>(self, client: &mut Client<P>, output: Output) -> Result<(), Error> {
        let active = client.rollback()?;
        output.print(&ActiveHead::from(&active), || {
            pairs(&[("head", head(active))])
        })
    }
}
