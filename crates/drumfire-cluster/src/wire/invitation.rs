//! An invitation on the wire.

use crate::messages::Invitation;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub(super) struct Body {
    run: String,
    name: String,
}

impl From<&Invitation> for Body {
    fn from(invitation: &Invitation) -> Self {
        Self {
            run: invitation.run.clone(),
            name: invitation.name.clone(),
        }
    }
}

impl From<Body> for Invitation {
    fn from(body: Body) -> Self {
        Self {
            run: body.run,
            name: body.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::messages::Invitation;
    use crate::wire::{read_invitation, write_invitation};

    #[test]
    fn it_is_plain_to_read_and_comes_back() {
        let invitation = Invitation {
            run: "01".to_owned(),
            name: "checkout".to_owned(),
        };
        let written = write_invitation(&invitation);
        let expected = r#"{"v":1,"kind":"invitation","body":{"run":"01","name":"checkout"}}"#;
        assert_eq!(String::from_utf8_lossy(&written), expected);
        assert_eq!(read_invitation(&written).ok(), Some(invitation));
    }
}
