/** The stream of states: opened, watched, and opened again whenever it is lost. */

import type { State } from "./api";

const SILENCE = 3000; // ms without a state after which the connection counts as lost
const RETRY = 2000;

/** Call `onState` four times a second, `onLost` once whenever the server falls silent; tries for ever. */
export function connect(onState: (state: State) => void, onLost: (why: string) => void): void {
  let source: EventSource;
  let timer: number;
  let lost = false;

  function open(): void {
    source = new EventSource("api/events");
    source.onmessage = (event: MessageEvent<string>) => {
      lost = false;
      watch();
      onState(JSON.parse(event.data) as State);
    };
    source.onerror = () => retry();
    watch();
  }

  function watch(): void {
    clearTimeout(timer);
    timer = setTimeout(retry, SILENCE);
  }

  function retry(): void {
    source.close();
    clearTimeout(timer);
    timer = setTimeout(open, RETRY);
    if (lost) return;
    lost = true;
    void reason().then((why) => {
      if (lost) onLost(why);
    });
  }

  open();
}

/** An EventSource does not tell why it failed; a plain request does. */
async function reason(): Promise<string> {
  try {
    const answer = await fetch("api/state");
    if (answer.ok) return "";
    const body = (await answer.json()) as { error?: string };
    return body.error ?? answer.statusText;
  } catch {
    return "figureground does not answer";
  }
}
