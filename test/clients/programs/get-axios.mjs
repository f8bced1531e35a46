/** Gets every URL of the command line with axios, and prints what it got. */
import axios from 'axios'

for (const url of process.argv.slice(2)) console.log((await axios.get(url)).data)
