/** Where a run writes to. */
export interface Output {
  readonly stdout: { readonly isTTY?: boolean, write (chunk: string | Uint8Array): unknown }
  readonly stderr: { readonly isTTY?: boolean, write (chunk: string): unknown }
}
