/**
 * Length of the header in Confluent's wire format: a zero byte and the schema id in four bytes, followed by Avro
 * binary.
 */
export const HEADER_BYTES = 5;

/** The methods of a compiled avsc type that the wire format needs. */
export type Encodable = { toBuffer(value: unknown): Buffer };
export type Decodable = { decode(buffer: Buffer, position: number): { value: unknown; offset: number } };

/** The id of the schema that a message was written with. Throws if it is not in Confluent's wire format. */
export function schemaIdOf(message: Buffer): number {
  if (message.length < HEADER_BYTES || message[0] !== 0) {
    throw new Error('not a message in the wire format of a schema registry: its first byte is not zero');
  }
  return message.readUInt32BE(1);
}

/** Encodes a value after its header. For rare messages, since it copies; changes use `createEncoder`. */
export function encodeMessage(type: Encodable, schemaId: number, value: unknown): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(schemaId, 1);
  return Buffer.concat([header, type.toBuffer(value)]);
}

/** Decodes the part after the header. Throws if bytes are missing or left over. */
export function decodeMessage(type: Decodable, message: Buffer): unknown {
  const { value, offset } = type.decode(message, HEADER_BYTES);
  if (offset !== message.length) throw new Error('the message does not fit the schema its header names');
  return value;
}
