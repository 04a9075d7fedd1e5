/** The stream of pictures: only while the page is looked at, so that nobody encodes for a hidden tab. */

import type { State } from "./api";
import { byId, setText } from "../dom";

const RETRY = 2000;
let wanted = false;
let tries = 0;

export function setUpPreview(): void {
  const image = byId<HTMLImageElement>("preview");
  image.onerror = () => setTimeout(() => wanted && open(), RETRY);
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : wanted && open()));
}

export function showPreview(state: State): void {
  if (!wanted) {
    wanted = true;
    if (!document.hidden) open();
  }
  const { width, height } = state.output;
  if (width > 0 && height > 0) byId("screen").style.aspectRatio = `${width} / ${height}`;
  const sent = width > 0 ? `${width} × ${height} to ${state.output.to}` : "";
  setText(byId("output"), sent);
  setText(byId("screen-note"), state.light === "stopped" ? "The camera is off" : "");
}

/** The connection is lost: a picture that stands still would look like one that is sent. */
export function hidePreview(): void {
  wanted = false;
  close();
  setText(byId("screen-note"), "No connection");
}

function open(): void {
  tries += 1;
  byId<HTMLImageElement>("preview").src = `api/preview?n=${tries}`;
}

function close(): void {
  byId<HTMLImageElement>("preview").removeAttribute("src");
}
