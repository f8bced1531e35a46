/** Resolves when a condition holds, asked again every few milliseconds. */
export async function until (condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}
