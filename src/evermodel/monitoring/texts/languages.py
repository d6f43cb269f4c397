"""The language of a text, by its commonest words: enough to name what texts changed to, and alike in each release."""

# ruff: noqa: RUF001 - letters of other scripts that look like Latin ones are meant

from __future__ import annotations

import numpy as np
import polars as pl

from evermodel.core.arrays import Array
from evermodel.monitoring.texts.word_table import WordsOfTexts

NOT_TOLD = "not told"
# The commonest words of each language that hardly any text does without. Some belong to several languages.
COMMON_WORDS = {
    "English": "the a an is are was i you my me it to of and in for on with do does what how can please this that "
    "have not be at from your if when where who will would could should need want there any which has am been s t",
    "German": "der die das ein eine einen ist sind war ich du sie mein meine meinen mir mich es zu von und in für auf "
    "mit was wie kann bitte diese nicht im am den dem wann wo wer wird wir auch noch nach bei aus zum zur einer werden "
    "haben habe hat sich möchte kannst wenn warum gibt",
    "French": "le la les un une des est sont je tu vous mon ma mes il elle à de du et en pour sur avec que qui quoi "
    "comment ne pas plus au aux ce cette dans par où quand quel quelle peux pouvez veux voudrais ai l d j c s n "
    "votre nous on se si être avez",
    "Spanish": "el la los las un una es son yo mi mis me lo a de del y en para por con que qué cómo como no al este "
    "esta dónde cuándo cuál quién puedo puede quiero tengo está hay se su te le más si cuánto necesito favor donde",
    "Portuguese": "o a os as um uma é são eu meu minha me de do da dos das e em para por com que como não no na ao "
    "este esta onde quando qual quem posso pode quero tenho está há se seu sua mais você fazer isso preciso quanto",
    "Italian": "il lo la i gli le un una è sono io mio mia mi di del della dei e in per con che come non al alla "
    "questo questa dove quando quale chi posso può voglio ho c si su più da nel quanto vorrei cosa l d ha sul",
    "Dutch": "de het een is zijn was ik je jij mijn me mij te van en in voor op met wat hoe kan niet dit dat deze waar "
    "wanneer wie wil heb heeft er aan bij naar ook nog om uit als dan mag moet kun u graag welke",
    "Swedish": "en ett är var jag du min mitt mig det den att av och i för på med vad hur kan inte detta denna om har "
    "ska vill till från som när vem vilken finns också mina min så hos",
    "Danish or Norwegian": "en et er var jeg du min mit mitt mig meg det den at å af av og i for på med hvad hva "
    "hvordan kan ikke dette denne om har skal vil til fra som når hvem hvor hvilken også mine der så",
    "Polish": "i w na z do nie się to jest są ja mój moja mi mnie że co jak czy dla od po o za ten ta te gdzie kiedy "
    "kto jaki jaka mogę chcę mam już przez proszę ile może tego",
    "Czech": "a v na z do ne se to je jsou já můj moje mi mě že co jak pro od po o za ten ta kde kdy kdo jaký jaká "
    "mohu chci mám si s ve prosím kolik jsem být není tento",
    "Romanian": "un o este sunt eu meu mea îmi mă de la din și în pentru pe cu ce cum nu acest această unde când care "
    "cine pot vreau am se să mai al ale le cât vă rog",
    "Turkish": "bir bu ve ne mi mı mu ben benim bana için ile nasıl var yok da de çok ne nerede kaç kim hangi olarak "
    "lütfen mısın misin istiyorum daha gibi zaman bunu o",
    "Finnish": "on ja ei se minä minun että mitä miten voi kuinka en missä milloin kuka mikä tämä oli ovat kun myös "
    "voin haluan mun olen onko voitko jos paljon minulle",
    "Hungarian": "a az egy és hogy nem van én mi mit hogyan ez azt is meg kell lehet hol mikor ki milyen mennyi vagy "
    "csak de el már kérem szeretnék tudok nekem ezt",
    "Indonesian or Malay": "yang dan di ke dari untuk saya anda ini itu apa bagaimana bisa tidak ada dengan adalah "
    "pada kapan mana siapa berapa tolong ingin akan aku kamu saja sudah boleh",
    "Vietnamese": "là và của có không tôi bạn cho với được trong một này đó những các để làm thế nào gì ở khi nào ai "
    "bao nhiêu xin hãy muốn về đến tại",
    "Russian": "и в не на я что как это с мне мой моя мои у к по для из есть ли где когда кто какой какая могу хочу "
    "можно пожалуйста а но за от о вы ты мы он она так сколько меня",
    "Ukrainian": "і й в у не на я що як це з мені мій моя мої до по для із є чи де коли хто який яка можу хочу можна "
    "будь ласка а але за від про ви ти ми він вона так скільки та мене",
}
LANGUAGES = tuple(COMMON_WORDS)


def find_languages(words: WordsOfTexts) -> pl.Series:
    """The language that has most of each text's words among its commonest; "not told" for none, and where two have."""
    from scipy.sparse import csr_array

    votes = np.zeros((len(words.hashes), len(LANGUAGES)), dtype=np.float32)
    places = {w: i for i, w in enumerate(words.distinct.to_list())}
    for language, common in enumerate(COMMON_WORDS.values()):
        votes[[places[w] for w in set(common.split()) if w in places], language] = 1.0
    shape = words.n_texts, len(words.hashes)
    counted = csr_array((np.ones(len(words.rows), dtype=np.float32), (words.rows, words.words)), shape=shape) @ votes
    most: Array = counted.max(axis=1)
    told = (most > 0) & ((counted == most[:, None]).sum(axis=1) == 1)
    return pl.Series([*LANGUAGES, NOT_TOLD]).gather(np.where(told, counted.argmax(axis=1), len(LANGUAGES)))
