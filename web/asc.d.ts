/** What is used of AssemblyScript's compiler: its own description declares a machine's numbers as everybody's globals. */

export interface Options {
  optimizeLevel: number;
  enable: string[];
  noAssert: boolean;
  runtime: "stub";
  importMemory: boolean;
  sharedMemory?: boolean;
  initialMemory?: number;
  maximumMemory?: number;
}

export interface Result {
  readonly error: Error | null;
  readonly binary: Uint8Array | null;
  readonly stderr: { toString(): string };
}

declare const asc: { compileString(sources: Record<string, string>, options: Options): Promise<Result> };
export default asc;
