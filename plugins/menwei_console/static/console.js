// The pages work without this module; it only makes them live. One import, no third-party code.
import { LiveDoors, LivePart, LivePassages } from "./live.js";
import { CaptureForm, DocumentField, KeptForm, SentForm } from "./forms.js";
import { OpenDoor } from "./open.js";

// On a telephone the places may be more than fit: the current one is in sight.
const here = document.querySelector(".places [aria-current]");
if (here) here.parentElement.scrollLeft = here.offsetLeft - (here.parentElement.clientWidth - here.offsetWidth) / 2;

customElements.define("menwei-passages", LivePassages);
customElements.define("menwei-doors", LiveDoors);
customElements.define("menwei-part", LivePart);
customElements.define("menwei-form", SentForm);
customElements.define("menwei-kept", KeptForm);
customElements.define("menwei-capture", CaptureForm);
customElements.define("menwei-document", DocumentField);
customElements.define("menwei-open", OpenDoor);
