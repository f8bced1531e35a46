/** The pages' only script, inline: it adds a copy button to every block of lines. */

/**
 * `navigator.clipboard` is for secure contexts alone, which http is not: there the event of a copy is given the text,
 * without the breaks that the layout shows. Without JavaScript the page is whole, and has no buttons.
 */
export const COPY_SCRIPT = `
for (const pre of document.querySelectorAll('pre')) {
  const button = document.createElement('button')
  button.type = 'button'
  button.setAttribute('aria-live', 'polite')
  const label = (text) => { button.textContent = text }
  label('Copy')
  button.addEventListener('click', async () => {
    const text = pre.querySelector('code').textContent.trimEnd()
    const give = (event) => {
      event.clipboardData.setData('text/plain', text)
      event.preventDefault()
    }
    let copied = true
    try {
      await navigator.clipboard.writeText(text)
    } catch {
      document.addEventListener('copy', give)
      copied = document.execCommand('copy')
      document.removeEventListener('copy', give)
    }
    label(copied ? 'Copied' : 'Select the lines and copy them')
    setTimeout(label, 2000, 'Copy')
  })
  pre.append(button)
}
`
