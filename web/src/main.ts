/** One app, two modes: this computer's pipeline, where figureground serves the page, and this page's own camera. */

import "./style/page.css";
import "./style/controls.css";
import "./style/backgrounds.css";
import "./style/figures.css";
import "./style/camera.css";
import { byId, setText } from "./dom";

type Mode = "pipeline" | "camera";

/** Whether figureground itself serves this page; any other host gives its files only. */
async function hasPipeline(): Promise<boolean> {
  try {
    const answer = await fetch(location.pathname, { method: "HEAD" });
    return answer.headers.get("Figureground") === "pipeline";
  } catch {
    return false; // without a network, the page's own camera works all the same
  }
}

async function chooseMode(): Promise<Mode> {
  if (!(await hasPipeline())) return "camera";
  byId("modes").hidden = false;
  return location.hash === "#camera" ? "camera" : "pipeline";
}

async function start(): Promise<void> {
  const mode = await chooseMode();
  byId(`mode-${mode}`).setAttribute("aria-current", "page");
  document.body.append(byId<HTMLTemplateElement>(`${mode}-page`).content.cloneNode(true));
  byId("trouble-close").onclick = () => (byId("trouble").hidden = true);
  if (mode === "pipeline") await import("./control/main");
  else await import("./camera/main");
  addEventListener("hashchange", () => location.reload());
}

/** For a page that works without a network. In a page that is not secure there is none. */
async function keepOffline(): Promise<void> {
  try {
    await navigator.serviceWorker?.register("service-worker.js");
  } catch {
    // It works as long as there is a network.
  }
}

/** Files that are gone: a newer page has taken their place, or the network has. */
function giveUp(): void {
  byId("connection").dataset["state"] = "off";
  setText(byId("connection"), "This page’s program cannot be loaded: reload the page.");
}

start().catch(giveUp);
void keepOffline();
