"""Language codes: normalize language tags and names to ISO 639-1."""

import re

ALIASES = {"cn": "zh", "cmn": "zh", "in": "id", "iw": "he", "ji": "yi"}
"""A country code that feeds use for its language, Mandarin in ISO 639-3, and codes that ISO 639-1 replaced in 1989."""

_TABLE = """
aa aar/afar; ab abk/abkhazian; ae ave/avestan; af afr/afrikaans; ak aka/akan; am amh/amharic; an arg/aragonese; ar
ara/arabic; as asm/assamese; av ava/avaric; ay aym/aymara; az aze/azerbaijani; ba bak/bashkir; be bel/belarusian; bg
bul/bulgarian; bi bis/bislama; bm bam/bambara; bn ben/bengali/bangla; bo bod/tib/tibetan; br bre/breton; bs
bos/bosnian; ca cat/catalan/valencian; ce che/chechen; ch cha/chamorro; co cos/corsican; cr cre/cree; cs
ces/cze/czech; cu chu/church slavic; cv chv/chuvash; cy cym/wel/welsh; da dan/danish; de deu/ger/german; dv
div/divehi; dz dzo/dzongkha; ee ewe/ewe; el ell/gre/greek; en eng/english; eo epo/esperanto; es spa/spanish/castilian;
et est/estonian; eu eus/baq/basque; fa fas/per/persian/farsi; ff ful/fulah; fi fin/finnish; fj fij/fijian; fo
fao/faroese; fr fra/fre/french; fy fry/western frisian/frisian; ga gle/irish; gd gla/scottish gaelic/gaelic; gl
glg/galician; gn grn/guarani; gu guj/gujarati; gv glv/manx; ha hau/hausa; he heb/hebrew; hi hin/hindi; ho hmo/hiri
motu; hr hrv/croatian; ht hat/haitian/haitian creole; hu hun/hungarian; hy hye/arm/armenian; hz her/herero; ia
ina/interlingua; id ind/indonesian; ie ile/interlingue; ig ibo/igbo; ii iii/sichuan yi; ik ipk/inupiaq; io ido/ido; is
isl/ice/icelandic; it ita/italian; iu iku/inuktitut; ja jpn/japanese; jv jav/javanese; ka kat/geo/georgian; kg
kon/kongo; ki kik/kikuyu/gikuyu; kj kua/kuanyama/kwanyama; kk kaz/kazakh; kl kal/kalaallisut/greenlandic; km
khm/khmer/central khmer; kn kan/kannada; ko kor/korean; kr kau/kanuri; ks kas/kashmiri; ku kur/kurdish; kv kom/komi; kw
cor/cornish; ky kir/kirghiz/kyrgyz; la lat/latin; lb ltz/luxembourgish/letzeburgesch; lg lug/ganda; li
lim/limburgan/limburger/limburgish; ln lin/lingala; lo lao/lao; lt lit/lithuanian; lu lub/luba-katanga; lv
lav/latvian; mg mlg/malagasy; mh mah/marshallese; mi mri/mao/maori; mk mkd/mac/macedonian; ml mal/malayalam; mn
mon/mongolian; mr mar/marathi; ms msa/may/malay; mt mlt/maltese; my mya/bur/burmese; na nau/nauru; nb nob/norwegian
bokmål/bokmål; nd nde/north ndebele; ne nep/nepali; ng ndo/ndonga; nl nld/dut/dutch/flemish; nn nno/norwegian
nynorsk/nynorsk; no nor/norwegian; nr nbl/south ndebele; nv nav/navajo/navaho; ny nya/chichewa/nyanja; oc oci/occitan;
oj oji/ojibwa; om orm/oromo; or ori/oriya; os oss/ossetian; pa pan/punjabi/panjabi; pi pli/pali; pl pol/polish; ps
pus/pashto/pushto; pt por/portuguese; qu que/quechua; rm roh/romansh; rn run/rundi; ro ron/rum/romanian/moldovan; ru
rus/russian; rw kin/kinyarwanda; sa san/sanskrit; sc srd/sardinian; sd snd/sindhi; se sme/northern sami; sg sag/sango;
si sin/sinhala; sk slk/slo/slovak; sl slv/slovenian; sm smo/samoan; sn sna/shona; so som/somali; sq sqi/alb/albanian;
sr srp/serbian; ss ssw/swati; st sot/southern sotho/sotho; su sun/sundanese; sv swe/swedish; sw swa/swahili; ta
tam/tamil; te tel/telugu; tg tgk/tajik; th tha/thai; ti tir/tigrinya; tk tuk/turkmen; tl tgl/tagalog; tn tsn/tswana;
to ton/tongan; tr tur/turkish; ts tso/tsonga; tt tat/tatar; tw twi/twi; ty tah/tahitian; ug uig/uyghur/uighur; uk
ukr/ukrainian; ur urd/urdu; uz uzb/uzbek; ve ven/venda; vi vie/vietnamese; vo vol/volapük; wa wln/walloon; wo
wol/wolof; xh xho/xhosa; yi yid/yiddish; yo yor/yoruba; za zha/zhuang/chuang; zh zho/chi/chinese/mandarin; zu zul/zulu
"""
"""ISO 639-1 code, then the ISO 639-2 codes (/T, and /B where it differs) and English names of each language."""


def _codes_by_name() -> dict[str, str]:
    names = dict(ALIASES)
    for entry in " ".join(_TABLE.split()).split("; "):
        code, others = entry.split(" ", 1)
        names |= dict.fromkeys([code, *others.split("/")], code)
    return names


_CODES = _codes_by_name()


def language_code(value: str | None) -> str | None:
    """Convert a language tag, ISO 639-2 code or English name to ISO 639-1 ("en-US", "eng", "English" → "en"); None if unknown."""
    name = " ".join((value or "").lower().split())
    return _CODES.get(name) or _CODES.get(re.split("[-_]", name)[0])
