//! Pods on one host: network and file system of their own, as a Kubernetes cluster would give them to the containers of one
//! namespace. A name of its DNS leads to an address that is not loopback, and volumes are mounted where manifests say.
//!
//! Needs `unshare`, `nsenter` and `ip`, and a kernel that lets this user have namespaces. Without them tests say so and
//! pass, unless DRUMFIRE_FORBID_SKIPS is set.

use crate::drumfire::{Folder, Running};
use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::Once;

/// Makes the namespaces' network and root, says `ready`, and stays until it is ended.
const HOLDER: &str = r#"
set -e
ip link set lo up
ip address add "$ADDRESS/32" dev lo
root="$FOLDER/root"
mount -t tmpfs tmpfs "$root"
for entry in /*; do
  case "$entry" in /reports | /drumfire) continue ;; esac
  if [ -L "$entry" ]; then cp -P "$entry" "$root$entry"
  elif [ -d "$entry" ]; then mkdir "$root$entry"; mount --rbind "$entry" "$root$entry"
  fi
done
mkdir -p "$root/reports" "$root/drumfire/scripts"
mount --bind "$FOLDER/reports" "$root/reports"
mount --bind "$FOLDER/scripts" "$root/drumfire/scripts"
mount --bind "$FOLDER/hosts" "$root/etc/hosts"
echo ready
exec chroot "$root" sleep infinity
"#;

/// What the service's name leads to: an address that this host alone has, and that nobody takes for loopback.
const ADDRESS: &str = "10.96.0.10";

pub struct Pods {
    /// `reports` in it is the volume at `/reports`, `scripts` what the image has in `/drumfire/scripts`.
    pub folder: Folder,
    holder: Option<Running>,
}

impl Pods {
    /// None where there can be none.
    pub fn start(service: &str) -> Option<Self> {
        let folder = Folder::new();
        for name in ["root", "reports", "scripts"] {
            fs::create_dir(folder.path(name)).expect("a folder can be made");
        }
        let hosts = format!("127.0.0.1 localhost\n{ADDRESS} {service}\n");
        folder.write("hosts", &hosts);
        if !may_have_namespaces() {
            return None;
        }
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--net"]);
        command.args(["sh", "-c", HOLDER]);
        command
            .env("FOLDER", folder.path(""))
            .env("ADDRESS", ADDRESS);
        let mut holder = Running::of(command);
        holder.wait_for("ready");
        let holder = Some(holder);
        Some(Pods { folder, holder })
    }

    /// A program in there, with exactly this environment.
    pub fn command(&self, program: &str, environment: &[(&str, &str)]) -> Command {
        let holder = self.holder.as_ref().expect("it runs");
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &holder.id().to_string()])
            .args(["--user", "--mount", "--net", "--root", "--wd=/"])
            .args(["--preserve-credentials", "--", "/usr/bin/env", "-i"])
            .args(
                environment
                    .iter()
                    .map(|(name, value)| format!("{name}={value}")),
            )
            .arg(program);
        command
    }
}

impl Drop for Pods {
    fn drop(&mut self) {
        if let Some(holder) = self.holder.take() {
            holder.signal(libc::SIGKILL);
            holder.end();
        }
    }
}

fn may_have_namespaces() -> bool {
    static TOLD: Once = Once::new();
    let mut probe = Command::new("unshare");
    probe.args(["--user", "--map-root-user", "--mount", "--net"]);
    probe.args([
        "sh",
        "-c",
        "ip link set lo up && mount -t tmpfs tmpfs /tmp && command -v nsenter",
    ]);
    let may = probe.output().is_ok_and(|ended| ended.status.success());
    if may {
        return true;
    }
    let missing = "PODS: namespaces of network and mounts cannot be made here";
    let forbidden = std::env::var("DRUMFIRE_FORBID_SKIPS");
    let forbidden = forbidden.is_ok_and(|value| !matches!(value.as_str(), "" | "0"));
    assert!(!forbidden, "{missing}");
    // Written past the test harness, which keeps what passing tests print.
    TOLD.call_once(|| {
        writeln!(std::io::stderr(), "skipped: {missing}").expect("standard error");
    });
    false
}
