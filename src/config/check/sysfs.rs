//! `sysfs` of a meter.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Check;
use crate::config::field::Field;
use crate::config::leaf::FilePath;
use crate::config::problem::Mark;
use crate::config::schema;
use crate::config::types::Sysfs;

/// Where every Linux has it.
const DEFAULT_ROOT: &str = "/sys";

impl Check<'_> {
    /// Checks the section. Whether there are sensors at `root` is seen when they are read: they may come later.
    pub(super) fn sysfs(
        &mut self,
        raw: &schema::Sysfs,
        _at: Mark,
        folder: &Path,
        _timeout: Duration,
    ) -> Option<Sysfs> {
        let root = match &raw.root {
            Field::Absent => PathBuf::from(DEFAULT_ROOT),
            Field::Bad => return None,
            Field::Is(FilePath(path), at) => {
                let root = folder.join(path);
                if root.is_file() {
                    let what = format!("`root` is {}, which is a file", root.display());
                    self.error(*at, what, "name the folder where sysfs is mounted, such as /host/sys");
                    return None;
                }
                root
            }
        };
        Some(Sysfs { root })
    }
}
