//! HDFS: every call with a deadline, every failure with a type that says what to do about it.
//!
//! It stands on the native client and repairs what that leaves to its callers: calls that may hang for ever, changes whose answer
//! was lost, writes that one dead `DataNode` ends. It knows nothing of jobs, formats or `DataFusion`.
//!
//! Security: with `hadoop.security.authentication = kerberos` the client loads `libgssapi_krb5.so.2` when it connects (on Debian and
//! Ubuntu the package `libgssapi-krb5-2`) and takes the ticket cache of the process, or `principal` and `keytab` of the settings.
//! Without Kerberos the user is `user` of the settings, else `HADOOP_USER_NAME`, else the one who runs the process.

mod cached;
mod change;
mod client;
mod counters;
mod deadline;
mod error;
mod file;
mod hadoop_conf;
mod list;
mod locations;
mod look;
mod protocol;
mod rpc;
mod settings;
mod short_circuit;
mod spool;
mod store;
mod stream;
mod upload;
mod url;
mod wait;
mod waits;
mod writer;

pub use change::{Overwrite, Removed};
pub use client::{Clusters, Hdfs};
pub use counters::{Counters, CountersSnapshot};
pub use error::{HdfsError, ReplyState};
pub use file::HdfsFile;
pub use hadoop_conf::HadoopConf;
pub use list::{Depth, Listing};
pub use locations::{BlockLocation, Replica};
pub use look::{Entry, Kind, Summary};
pub use settings::{HdfsSettings, SettingsError};
pub use spool::Spool;
pub use store::HdfsStore;
pub use stream::HdfsStream;
pub use upload::{Content, Upload, Uploaded};
pub use url::HdfsUrl;
pub use wait::{Patience, Waiting};
pub use waits::{Waits, WaitsReader};
pub use writer::{HdfsWriter, NewFile, Parents};
