/** The server's HTTP interface (docs/serve.md): its types, and one function a request. */

export type Light = "live" | "covered" | "stopped";

export interface Settings {
  camera: string;
  background: string;
  model: string;
  mirror: boolean;
  fit: string;
  people: string;
  refine: boolean;
  stabilise: boolean;
  look_ahead: boolean;
  show_mask: boolean;
  overlay: string;
  fps: number;
  cpu: number | null;
}

export interface Decision {
  at: string;
  level: string;
  reason: string;
}

export interface State {
  light: Light;
  reason: string;
  remedy: string;
  hidden: boolean; // covered by hand, whatever else is wrong
  settings: Settings;
  camera: { name: string; width: number; height: number; rate: number; dropped: number };
  output: { to: string; width: number; height: number; fps: number };
  latency_ms: { p50: number; p95: number };
  stages_ms: Record<string, number>;
  cpu: number;
  memory_mb: number;
  governor: { level: string; decisions: Decision[] };
  frames: number;
  covered: number;
  models: string[];
  cameras: { name: string; device: string }[];
  can_overlay: boolean;
}

export interface Background {
  id: string;
  name: string;
  kind: string;
}

/** What the server refused, in its own words: one line for the user. */
export class Refused extends Error {}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new Refused("figureground does not answer; is it still running?");
  }
  if (answer.ok) return answer;
  const body: unknown = await answer.json().catch(() => null);
  const said = body !== null && typeof body === "object" && "error" in body ? String(body.error) : answer.statusText;
  throw new Refused(said);
}

async function post(path: string, body: unknown): Promise<State> {
  const headers = { "Content-Type": "application/json" };
  const answer = await ask(path, { method: "POST", headers, body: JSON.stringify(body) });
  return (await answer.json()) as State;
}

export const change = (settings: Partial<Settings>): Promise<State> => post("api/settings", settings);
export const start = (): Promise<State> => post("api/start", {});
export const stop = (): Promise<State> => post("api/stop", {});
export const cover = (on: boolean): Promise<State> => post("api/cover", { on });

export async function backgrounds(): Promise<Background[]> {
  return (await (await ask("api/backgrounds")).json()) as Background[];
}

export async function addBackground(file: File): Promise<Background> {
  const path = `api/backgrounds?name=${encodeURIComponent(file.name)}`;
  const answer = await ask(path, { method: "POST", headers: { "Content-Type": file.type }, body: file });
  return (await answer.json()) as Background;
}

export async function removeBackground(id: string): Promise<void> {
  await ask(`api/backgrounds/${id}`, { method: "DELETE" });
}

export const thumbnail = (id: string): string => `api/backgrounds/${id}/thumbnail`;
