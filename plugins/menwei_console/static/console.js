// The pages work without this module; it only makes them live. One import, no third-party code.
import { LiveDoors, LivePart, LivePassages } from "./live.js";
import { CaptureForm, DocumentField, SentForm } from "./forms.js";
import { OpenDoor } from "./open.js";

customElements.define("menwei-passages", LivePassages);
customElements.define("menwei-doors", LiveDoors);
customElements.define("menwei-part", LivePart);
customElements.define("menwei-form", SentForm);
customElements.define("menwei-capture", CaptureForm);
customElements.define("menwei-document", DocumentField);
customElements.define("menwei-open", OpenDoor);
