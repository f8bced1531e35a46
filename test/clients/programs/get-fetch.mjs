/** Gets every URL of the command line with fetch, and prints what it got. */
for (const url of process.argv.slice(2)) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  console.log(await response.text())
}
