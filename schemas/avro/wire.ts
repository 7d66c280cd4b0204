/** Confluent's wire format: a zero byte, the schema's id in four bytes, then the Avro binary. */
export const HEADER_BYTES = 5;

/** The parts of a compiled avsc type the wire format needs. */
export type Encodable = { toBuffer(value: unknown): Buffer };
export type Decodable = { decode(buffer: Buffer, position: number): { value: unknown; offset: number } };

/** The id of the schema a message was written with. Throws when it is not in Confluent's wire format. */
export function schemaIdOf(message: Buffer): number {
  if (message.length < HEADER_BYTES || message[0] !== 0) {
    throw new Error('not a message in the wire format of a schema registry: its first byte is not zero');
  }
  return message.readUInt32BE(1);
}

/** Encodes a value behind its header; for rare messages, since it copies: changes have `createEncoder`. */
export function encodeMessage(type: Encodable, schemaId: number, value: unknown): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(schemaId, 1);
  return Buffer.concat([header, type.toBuffer(value)]);
}

/** Decodes what follows the header. Throws when bytes are missing or left. */
export function decodeMessage(type: Decodable, message: Buffer): unknown {
  const { value, offset } = type.decode(message, HEADER_BYTES);
  if (offset !== message.length) throw new Error('the message does not fit the schema its header names');
  return value;
}
