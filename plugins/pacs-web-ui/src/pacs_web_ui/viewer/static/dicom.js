// Datasets in the DICOM JSON Model (PS3.18 Annex F), read by keyword.

const TAGS = {
  SOPClassUID: "00080016", SOPInstanceUID: "00080018", Modality: "00080060",
  SeriesDescription: "0008103E", RecommendedDisplayFrameRate: "00082144",
  SliceThickness: "00180050", CineRate: "00180040", FrameTime: "00181063",
  FrameTimeVector: "00181065", EstimatedRadiographicMagnificationFactor: "00181114",
  ImagerPixelSpacing: "00181164", NominalScannedPixelSpacing: "00182010",
  SequenceOfUltrasoundRegions: "00186011", RegionSpatialFormat: "00186012",
  RegionLocationMinX0: "00186018", RegionLocationMinY0: "0018601A",
  RegionLocationMaxX1: "0018601C", RegionLocationMaxY1: "0018601E",
  PhysicalUnitsXDirection: "00186024", PhysicalUnitsYDirection: "00186026",
  PhysicalDeltaX: "0018602C", PhysicalDeltaY: "0018602E",
  SeriesNumber: "00200011", InstanceNumber: "00200013", ImagePositionPatient: "00200032",
  ImageOrientationPatient: "00200037", PatientOrientation: "00200020",
  FrameOfReferenceUID: "00200052", ImageLaterality: "00200062", SliceLocation: "00201041",
  SamplesPerPixel: "00280002", PhotometricInterpretation: "00280004",
  NumberOfFrames: "00280008", Rows: "00280010", Columns: "00280011", PixelSpacing: "00280030",
  PixelAspectRatio: "00280034", BitsAllocated: "00280100", BitsStored: "00280101",
  HighBit: "00280102", PixelRepresentation: "00280103", PixelPaddingValue: "00280120",
  PixelPaddingRangeLimit: "00280121", WindowCenter: "00281050", WindowWidth: "00281051",
  RescaleIntercept: "00281052", RescaleSlope: "00281053", RescaleType: "00281054",
  WindowCenterWidthExplanation: "00281055", VOILUTFunction: "00281056",
  ModalityLUTSequence: "00283000", LUTDescriptor: "00283002", LUTExplanation: "00283003",
  LUTData: "00283006", VOILUTSequence: "00283010", LossyImageCompression: "00282110",
  PresentationLUTShape: "20500020", ViewPosition: "00185101", Laterality: "00200060",
  PixelMeasuresSequence: "00289110", PlanePositionSequence: "00209113",
  PlaneOrientationSequence: "00209116", PixelValueTransformationSequence: "00289145",
  FrameVOILUTSequence: "00289132", Units: "00541001", OverlayRows: "60000010",
  OverlayColumns: "60000011", NumberOfFramesInOverlay: "60000015", OverlayOrigin: "60000050",
  ImageFrameOrigin: "60000051", OverlayData: "60003000", SharedFunctionalGroupsSequence: "52009229",
  PerFrameFunctionalGroupsSequence: "52009230", FloatPixelPaddingValue: "00280122",
  DoubleFloatPixelPaddingValue: "00280123", FloatPixelPaddingRangeLimit: "00280124",
  DoubleFloatPixelPaddingRangeLimit: "00280125", FloatPixelData: "7FE00008",
  DoubleFloatPixelData: "7FE00009",
};

// Functional group macros, by the attributes in them (PS3.3 C.7.6.16.2).
const MACROS = {
  PixelSpacing: "PixelMeasuresSequence", SliceThickness: "PixelMeasuresSequence",
  ImagePositionPatient: "PlanePositionSequence",
  ImageOrientationPatient: "PlaneOrientationSequence",
  RescaleIntercept: "PixelValueTransformationSequence",
  RescaleSlope: "PixelValueTransformationSequence",
  RescaleType: "PixelValueTransformationSequence",
  WindowCenter: "FrameVOILUTSequence", WindowWidth: "FrameVOILUTSequence",
  WindowCenterWidthExplanation: "FrameVOILUTSequence", VOILUTFunction: "FrameVOILUTSequence",
};

/** The values of an element, none if it is not there; those that are empty are null. */
export function values(set, keyword) {
  const found = set?.[TAGS[keyword]]?.Value;
  return Array.isArray(found) ? found : [];
}

/** Whether an element is there, be it empty. */
export const has = (set, keyword) => TAGS[keyword] in set;

/** The items of a sequence. */
export const items = (set, keyword) =>
  values(set, keyword).filter((item) => item !== null && typeof item === "object");

export const texts = (set, keyword) =>
  values(set, keyword).map((value) => (value === null ? "" : String(value).trim()));

export const text = (set, keyword) => texts(set, keyword)[0] ?? "";

/** Numbers; NaN where a value is none, as a DS that was sent as "1,5" is. */
export const numbers = (set, keyword) =>
  texts(set, keyword).map((value) => (value === "" ? NaN : Number(value)));

export function number(set, keyword, otherwise = NaN) {
  const [found = NaN] = numbers(set, keyword);
  return Number.isFinite(found) ? found : otherwise;
}

/** The dataset or item in which a frame (from 1) has an attribute: its own, the shared, or the instance. */
export function holderOf(instance, frame, keyword) {
  const macro = MACROS[keyword];
  const groups = [
    values(instance, "PerFrameFunctionalGroupsSequence")[frame - 1],
    values(instance, "SharedFunctionalGroupsSequence")[0],
  ];
  for (const group of groups) {
    const [item] = items(group, macro);
    if (values(item, keyword).length) return item;
  }
  return instance;
}

/** The bytes of an element, wherever they are: within, or at their address. */
export async function bytesOf(set, keyword) {
  const element = set?.[TAGS[keyword]];
  if (!element) return new Uint8Array();
  if (element.InlineBinary) return Uint8Array.from(atob(element.InlineBinary), (c) => c.charCodeAt(0));
  if (element.BulkDataURI) {
    const answer = await fetch(element.BulkDataURI, { headers: { accept: "application/octet-stream" } });
    if (!answer.ok) throw new Error(`${keyword}: ${answer.status}`);
    return new Uint8Array(await answer.arrayBuffer());
  }
  return new Uint8Array(Uint16Array.from(numbers(set, keyword)).buffer);
}
