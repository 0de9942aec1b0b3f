// How long Baileys takes to write and read nodes.
//
//   {"rounds": 2000, "frames": {"name": "hex", …}} on stdin  →  {"name": {"encode": µs, "decode": µs}, …} (medians) on
//   stdout. A frame is read first, and what came of it is written.

import { readFileSync } from 'node:fs'
import { decodeBinaryNode, encodeBinaryNode } from 'baileys'

const { rounds, frames } = JSON.parse(readFileSync(0))

async function median(call) {
	const times = []
	for (let round = 0; round < rounds * 2; round++) {
		const before = process.hrtime.bigint()
		await call()
		const took = Number(process.hrtime.bigint() - before) / 1000
		if (round >= rounds) times.push(took)
	}
	return times.sort((a, b) => a - b)[times.length >> 1]
}

const answer = {}
for (const [name, hex] of Object.entries(frames)) {
	const frame = Buffer.from(hex, 'hex')
	const node = await decodeBinaryNode(frame)
	answer[name] = { encode: await median(() => encodeBinaryNode(node)), decode: await median(() => decodeBinaryNode(frame)) }
}
process.stdout.write(JSON.stringify(answer))
