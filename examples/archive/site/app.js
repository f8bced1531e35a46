/* global HTMLMediaElement, location */
/** Shows what the API answers, and the video's first picture. Messages of the WebSocket are not seen on the page. */
const items = await (await fetch(`api/items?_=${Date.now()}`)).json()
for (const { name, number } of items) {
  const item = document.createElement('li')
  item.textContent = `${name}: ${number}`
  document.querySelector('#items').append(item)
}

const socket = new WebSocket(new URL('live', location.href.replace(/^http/, 'ws')))
const live = new Promise((resolve) => {
  socket.onmessage = ({ data }) => resolve(data)
  socket.onclose = () => resolve('not live')
})

const video = document.querySelector('video')
if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
  await new Promise((resolve) => { video.onloadeddata = video.onerror = resolve })
}
await document.fonts.ready
document.title = `ready, ${await live}`
