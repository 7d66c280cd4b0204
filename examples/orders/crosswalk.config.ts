// Which pipeline `crosswalk` works with when it is called in this folder.
import pipeline from './pipeline/pipeline.ts';

export default pipeline;
