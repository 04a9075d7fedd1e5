/** The control page of `figureground live`: puts the parts together. */

import type { State } from "./api";
import { loadBackgrounds, setUpBackgrounds, showBackground } from "./backgrounds";
import { connect } from "./connection";
import { byId, setText } from "../dom";
import { showFigures } from "./figures";
import { setUpLight, showLight, showUnknown } from "./light";
import { hidePreview, setUpPreview, showPreview } from "./preview";
import { setUpSettings, showSettings } from "./settings";

let connected = false;

function show(state: State): void {
  showLight(state);
  showPreview(state);
  showBackground(state);
  showSettings(state);
  showFigures(state);
}

function onState(state: State): void {
  if (!connected) {
    connected = true;
    byId("connection").dataset["state"] = "on";
    setText(byId("connection"), "Connected");
    byId("page").inert = false;
    void loadBackgrounds();
  }
  show(state);
}

function onLost(why: string): void {
  connected = false;
  byId("connection").dataset["state"] = "off";
  setText(byId("connection"), `Connection lost${why ? `: ${why}` : ""}. Trying again …`);
  byId("page").inert = true;
  showUnknown();
  hidePreview();
}

setUpLight(show);
setUpSettings();
setUpBackgrounds();
setUpPreview();
connect(onState, onLost);
